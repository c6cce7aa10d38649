"""The parity certificate: proof, on what was recorded in training, that what was trained is what is served.

samples.py keeps what was trained on; tokens.py, loss.py, outputs.py and served.py compare; certify.py takes a
student through them; files.py tells whether a certificate still belongs to a folder.
"""

from .certify import certify
from .files import still_holds
from .loss import recorded_losses
from .records import Certificate, Check
from .samples import read_samples, read_student, write_samples, write_student
from .table import print_certificate

__all__ = [
    "Certificate",
    "Check",
    "certify",
    "print_certificate",
    "read_samples",
    "read_student",
    "recorded_losses",
    "still_holds",
    "write_samples",
    "write_student",
]
