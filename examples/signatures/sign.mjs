// Signs a path for imgforge. Node.js, no packages.
import { createHmac } from "node:crypto";

const KEY = Buffer.from("943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881", "hex");
const SALT = Buffer.from("520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5", "hex");

function sign(path) {
  const signature = createHmac("sha256", KEY).update(SALT).update(path).digest("base64url");
  return `/${signature}${path}`;
}

console.log(sign("/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png"));
