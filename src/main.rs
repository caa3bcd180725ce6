//! The imgforge server and its command line.

use std::process::ExitCode;

use imgforge::{cli, server, vips};

fn main() -> ExitCode {
    // Threads that allocate for libvips would otherwise keep an arena each: memory stays flat with two.
    vips::set_arena_max(2);
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    cli::run(&args, |config, env| -> Result<(), StartError> {
        // Requests only; images are processed by threads of the server's own.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(server::run(config, env))?)
    })
}

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("can't start the runtime")]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Server(#[from] server::StartError),
}
