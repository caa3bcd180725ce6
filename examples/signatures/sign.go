// Signs a path for imgforge. Go, standard library only.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

const (
	key  = "943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881"
	salt = "520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5"
)

func sign(path string) (string, error) {
	keyBytes, err := hex.DecodeString(key)
	if err != nil {
		return "", err
	}
	saltBytes, err := hex.DecodeString(salt)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, keyBytes)
	mac.Write(saltBytes)
	mac.Write([]byte(path))
	return "/" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) + path, nil
}

func main() {
	url, err := sign("/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png")
	if err != nil {
		panic(err)
	}
	fmt.Println(url)
}
