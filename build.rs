//! Compiles the little that must be C (`src/shim/`): `longjmp`, thread-local objects that programs see, variadic functions.

fn main() {
    println!("cargo:rerun-if-changed=src/shim");
    println!("cargo:rerun-if-changed=include/core");
    let sources = ["src/shim/except.c", "src/shim/log.c"];
    cc::Build::new()
        .files(sources)
        .include("include")
        .std("c11")
        .define("_GNU_SOURCE", None)
        .warnings(true)
        .extra_warnings(true)
        // One section a function, so that the linker drops what a build does not use; visible, because the version script of
        // the library decides what is public.
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        .compile("netconn_shim");
}
