# Signs a path for imgforge. Ruby, standard library only.
require "base64"
require "openssl"

KEY = ["943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881"].pack("H*")
SALT = ["520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5"].pack("H*")

def sign(path)
  digest = OpenSSL::HMAC.digest("sha256", KEY, SALT + path)
  "/" + Base64.urlsafe_encode64(digest, padding: false) + path
end

puts sign("/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png")
