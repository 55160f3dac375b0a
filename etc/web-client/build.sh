#!/bin/sh
# build.sh DIRECTORY: makes the wheel xmppd-web-client, which has converse.js from npm, there.
set -e
VERSION=14.0.0
INTEGRITY="LFUg030jDalV47vI/vyVPqYPZfJYXFbubq8v0cFDe2zXNeeGEk3Up0Fj/WTzT6t+6do+cAIToy73eAj7RNDj2Q=="

[ -n "$1" ] || { echo "usage: sh build.sh DIRECTORY" >&2; exit 2; }
PYTHON=${PYTHON:-python3}
mkdir -p "$1"
TARGET=$(cd "$1" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

cd "$WORK"
npm pack --silent "converse.js@$VERSION" > /dev/null
FOUND=$(openssl dgst -sha512 -binary "converse.js-$VERSION.tgz" | openssl base64 -A)
[ "$FOUND" = "$INTEGRITY" ] || { echo "npm gave another converse.js than expected" >&2; exit 1; }
tar -xzf "converse.js-$VERSION.tgz"

PACKAGE=xmppd_web_client
mkdir -p "$PACKAGE/files"
cp -R package/dist/. "$PACKAGE/files"
cp package/LICENSE "$PACKAGE/LICENSE.converse.js"
# What only its developers, its own site, or other builds of it need.
find "$PACKAGE/files" -name '*.map' -delete
rm -f "$PACKAGE/files/converse.js" "$PACKAGE/files/converse.css" "$PACKAGE"/files/website*.css
# Compressed once and not for each browser; pictures and sounds are already.
find "$PACKAGE/files" -type f \( -name '*.js' -o -name '*.css' -o -name '*.json' -o -name '*.svg' -o -name '*.wasm' \) \
    -exec gzip -9 --keep --no-name {} \;
cat > "$PACKAGE/__init__.py" << END
"""converse.js $VERSION, for xmppd: MPL-2.0; source: https://github.com/conversejs/converse.js"""
END
sed "s/@VERSION@/$VERSION/" "$HERE/pyproject.toml.in" > pyproject.toml
"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$TARGET" .
ls "$TARGET"/xmppd_web_client-"$VERSION"-*.whl
