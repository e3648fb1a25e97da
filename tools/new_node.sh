#!/usr/bin/env bash
# Whether the storefront can be built here. Where it cannot: what it needs and what is here, and exit 1.
set -euo pipefail
needs="it needs Node.js 20.19 or newer, with npm"
version=$({ node --version 2>/dev/null || true; } | sed -n 's/^v\([0-9]*\.[0-9]*\..*\)/\1/p')
if [ -z "$version" ]; then
  echo "$needs"
  exit 1
fi
IFS=. read -r major minor _ <<<"$version"
if ((major < 20 || (major == 20 && minor < 19))); then
  echo "$needs, and Node.js here is $version"
  exit 1
fi
if ! command -v npm >/dev/null; then
  echo "$needs, and there is no npm here"
  exit 1
fi
