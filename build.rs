//! Compiles the thin C layer over the JPEG library, whose error handling needs `setjmp`, and links the codecs that libvips
//! is linked with: the same library makes the same bytes.

fn main() {
    println!("cargo:rerun-if-changed=src/codec/jpeg/shim.c");
    let mut build = cc::Build::new();
    build.file("src/codec/jpeg/shim.c").std("c11");
    match pkg_config::probe_library("libjpeg") {
        Ok(library) => {
            build.includes(library.include_paths);
        }
        // Older packages have no file for pkg-config; the header and the library are where the compiler looks.
        Err(_) => println!("cargo:rustc-link-lib=jpeg"),
    }
    build.compile("imgforge_codec");
}
