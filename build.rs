//! Tells the linker how a Node addon is built on this platform.

fn main() {
    // With MinGW it would link Node as a library, which no Node for Windows brings; its functions are looked up instead.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        napi_build::setup();
    }
}
