#!/usr/bin/env bash
# Build the storefront into frontend/dist where Node.js is new enough; otherwise say what is missing. Nothing is done where
# nothing has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! why=$(tools/new_node.sh); then
  echo "The storefront is not built: $why. The backend runs without it."
  exit 0
fi
# What it is made of, and by which Node. Its tests are no part of it.
inputs=$(git ls-files -co --exclude-standard frontend schema.graphql possible_types.json 2>/dev/null || find frontend schema.graphql possible_types.json -type f -not -path '*/node_modules/*' -not -path '*/dist/*')
now=$(echo "$inputs" | grep -Ev '^frontend/(e2e|tests|screenshots)/|^frontend/playwright' | sort | xargs sha256sum 2>/dev/null | cat - <(node --version) | sha256sum | cut -c1-16)
if [ "$(cat frontend/dist/.made-of 2>/dev/null)" = "$now" ]; then exit 0; fi
echo "Building the storefront (a minute, after changes only)…"
cd frontend
lock=$(sha256sum package-lock.json | cut -c1-16)
if [ "$(cat node_modules/.made-of 2>/dev/null)" != "$lock" ]; then
  npm ci --no-audit --no-fund --loglevel=error
  echo "$lock" >node_modules/.made-of
fi
npm run build --silent
../${VENV:-.venv}/bin/python -m whitenoise.compress --quiet dist
echo "$now" >dist/.made-of
