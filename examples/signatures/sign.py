"""Signs a path for imgforge. Python 3, standard library only."""
import base64
import hashlib
import hmac

KEY = bytes.fromhex("943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881")
SALT = bytes.fromhex("520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5")


def sign(path: str) -> str:
    digest = hmac.new(KEY, SALT + path.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"/{signature}{path}"


print(sign("/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png"))
