#!/bin/sh
# Installs Chromium from Debian's packages where there is no such browser: the tests with a real one need it.
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done

if ! command -v apt-get >/dev/null; then
    echo "There is no Chromium and no apt-get to install it with, so the tests with a browser are skipped." >&2
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    # Without -n, sudo would ask for a password in the middle of a test run.
    if ! sudo -n true 2>/dev/null; then
        echo "There is no Chromium, and installing it needs root: sudo apt-get install chromium" >&2
        exit 1
    fi
    as_root="sudo -n"
fi

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 "$@"
}

echo "Installing Chromium ..."
apt update # a fresh machine has no lists of packages, and an old one outdated ones
apt install --yes --no-install-recommends chromium
