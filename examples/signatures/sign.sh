#!/usr/bin/env bash
# Signs a path for imgforge. Bash and openssl.
set -euo pipefail

KEY=943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881
SALT=520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5

sign() {
    local signature
    signature=$({ printf '%b' "$(sed 's/../\\x&/g' <<<"$SALT")"; printf '%s' "$1"; } |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary |
        openssl base64 -A | tr '+/' '-_' | tr -d '=')
    printf '/%s%s\n' "$signature" "$1"
}

sign "/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png"
