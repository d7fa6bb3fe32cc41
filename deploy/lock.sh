#!/bin/sh
# Writes the locks again, by deploy/constraints.txt: what the service runs with, and what its wheel
# is built with. Needs the extra `supply`; run it after every change of a dependency.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
export UV_CUSTOM_COMPILE_COMMAND="sh deploy/lock.sh"

lock() {
    # No index stands in the files: whoever installs uses the one of their own site.
    uv pip compile --quiet --universal --python-version 3.11 --constraints deploy/constraints.txt \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}

lock pyproject.toml --output-file deploy/requirements.txt
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' |
    lock - --output-file deploy/build-requirements.txt
