#!/usr/bin/env bash
# Pages are tested in a real browser. Installs Chromium where it is missing and the machine lets us.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
else
    echo "tests need chromium on PATH; install it with your package manager" >&2
    exit 1
fi
