<?php
// Signs a path for imgforge. PHP 7 or newer, no packages.
const KEY = "943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881";
const SALT = "520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5";

function sign(string $path): string
{
    $digest = hash_hmac("sha256", hex2bin(SALT) . $path, hex2bin(KEY), true);
    $signature = rtrim(strtr(base64_encode($digest), "+/", "-_"), "=");
    return "/" . $signature . $path;
}

echo sign("/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png"), "\n";
