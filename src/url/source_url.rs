//! Plain and base64 source URLs.
