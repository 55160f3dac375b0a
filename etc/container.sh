#!/bin/sh
# In a container: the first start sets the server up by XMPPD_… variables, each one runs it.
set -eu

XMPPD=${XMPPD_BIN:-/opt/xmppd/bin}
HOME_DIRECTORY=${XMPPD_HOME:-/var/lib/xmppd}
CONFIG=$HOME_DIRECTORY/xmppd.toml

: "${XMPPD_LISTENERS:=clients clients-tls servers web:5443 metrics}"
export XMPPD_LISTENERS

if [ ! -e "$CONFIG" ]; then
    "$XMPPD/xmppd" setup --yes --config "$CONFIG" --data "$HOME_DIRECTORY/data"
fi
exec "$XMPPD/xmppd" run --config "$CONFIG"
