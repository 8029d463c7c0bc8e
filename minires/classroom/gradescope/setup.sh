#!/usr/bin/env bash
# Installs minires, which needs Python 3.11 or newer, where every user can read it.
set -euo pipefail
source="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python=python3
if ! "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))'; then
  apt-get update
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get install -y python3-venv
  else
    apt-get install -y python3.11 python3.11-venv
    python=python3.11
  fi
fi
target="${AUTOGRADER_ENVIRONMENT:-/opt/minires}"
"$python" -m venv "$target"
"$target/bin/python" -m pip install --no-cache-dir numpy "minires"
