"""Read rows of files in a dataset on the Hugging Face Hub, kept in its cache: a second read needs no network.

A file and a commit are named, so nothing else is fetched (`load_dataset(repository)` fetches every split, for
HotpotQA twenty times what is used) and no other version is taken from the cache instead. Where the Hub is,
and where the cache, is the Hub's own business: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN.
"""

from __future__ import annotations

from pathlib import Path

FORMATS = {".parquet": "parquet", ".jsonl": "json"}
PATIENCE = 10  # seconds for the Hub to answer at all; its own client tries for half a minute


def rows(repo: str, files: tuple[str, ...], revision: str, columns: list[str]):
    """These columns of the files, one after the other, as a `datasets.Dataset`.

    Raises ValueError, in one sentence, where they cannot be had or are not what they were.
    """
    paths = [_fetched(repo, file, revision) for file in files]
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        data = load_dataset(
            FORMATS[Path(files[0]).suffix], data_files=[str(path) for path in paths], split="train"
        )
    except (DatasetsError, ValueError, OSError) as error:
        raise ValueError(
            f"{repo} at {revision[:7]}: {', '.join(files)} cannot be read: {_first_line(error)}"
        ) from None
    lacking = [column for column in columns if column not in data.column_names]
    if lacking:
        raise ValueError(
            f"{repo} at {revision[:7]} has no {', '.join(map(repr, lacking))} in {', '.join(files)}; "
            f"there are: {', '.join(data.column_names)}."
        )
    return data.select_columns(columns)


def cached(repo: str, files: tuple[str, ...], revision: str) -> bool:
    """Whether all of the files can be read without a network."""
    from huggingface_hub import try_to_load_from_cache

    return all(
        isinstance(try_to_load_from_cache(repo, f, revision=revision, repo_type="dataset"), str)
        for f in files
    )


def _fetched(repo: str, file: str, revision: str) -> Path:
    from huggingface_hub import constants, get_session, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = {"repo_id": repo, "filename": file, "revision": revision, "repo_type": "dataset"}
    try:
        return Path(hf_hub_download(**wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    hub = constants.ENDPOINT
    try:
        get_session().head(hub, timeout=PATIENCE)
    except Exception as error:  # of the HTTP library beneath, whichever huggingface_hub uses
        raise _unreachable(repo, hub, error) from None
    try:
        return Path(hf_hub_download(**wanted))
    except LocalEntryNotFoundError as error:  # the Hub went away, or is out of order
        raise _unreachable(repo, hub, error.__cause__ or error) from None
    except GatedRepoError:
        raise ValueError(
            f"{repo} asks for an account at {hub}: accept its terms there and set HF_TOKEN."
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as error:
        missing = {
            RepositoryNotFoundError: "no dataset",
            RevisionNotFoundError: "no such version of",
        }
        what = missing.get(type(error), f"no {file} in")
        raise ValueError(
            f"There is {what} {repo} (at {revision[:7]}) on {hub}. Give a file with --problems, or a Hub "
            "that has it with HF_ENDPOINT."
        ) from None
    except OSError as error:
        raise _unreachable(repo, hub, error) from None


def _unreachable(repo: str, hub: str, error: BaseException) -> ValueError:
    return ValueError(
        f"{repo} is not in the cache and cannot be fetched from {hub} ({_first_line(error)}). Give a file "
        "with --problems, a Hub that can be reached with HF_ENDPOINT, or with HF_HOME a cache that has it."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
