# Each target sets itself up in .venv, once, and again only when requirements.txt has changed.

PYTHON ?= python3
RUN = .venv/bin/python

# glibc would hand large buffers back to the system after each use, and fetch them anew.
export MALLOC_MMAP_THRESHOLD_ = 2000000000
export MALLOC_TRIM_THRESHOLD_ = 2000000000

.PHONY: demo test app bench setup browser

demo: setup
	$(RUN) -m distill demo

test: setup browser
	$(RUN) -m pytest -n auto --dist worksteal

app: setup
	$(RUN) app.py

bench: setup
	$(RUN) -m bench.sandbox --runs 10000
	$(RUN) -m bench.sag
	$(RUN) -m bench.report
	$(RUN) -m bench.train
	$(RUN) -m bench.engine

setup: .venv/ready

# For the tests of the pages. Debian's, as a browser of Playwright's own would be another download each release.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name && exit; done >/dev/null; \
	if ! command -v apt-get >/dev/null; then sudo=no; elif [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo=no; fi; \
	if [ "$$sudo" != no ] && $$sudo apt-get update -qq && \
		$$sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	then echo "Installed chromium for the tests of the pages."; \
	else echo "There is no chromium, and it cannot be installed from here: the tests of the pages skip."; fi

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "smoldistill needs Python 3.11 or newer; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv; this takes a minute or two, once."
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch .venv/ready
