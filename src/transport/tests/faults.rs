//! The tests that assume nothing of how many bytes a system call moves, again with a kernel that is short of everything.
//! The knobs are read once a process, so each run is a process of its own.

use std::process::Command;

const TESTS: [&str; 6] = [
    "attached::bytes_go_both_ways",
    "secure::bytes_go_both_ways",
    "secure::a_full_kernel_blocks_and_any_buffer_goes_on",
    "secure::shutdown_waits_for_the_kernel",
    "secure::close_hands_over_what_the_kernel_does_not_take",
    "plain::a_full_kernel_blocks_and_any_buffer_goes_on",
];

fn run_with(knobs: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("--exact")
        .args(TESTS.map(|name| format!("transport::tests::{name}")))
        .envs(knobs.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{knobs:?}: {text}");
    assert!(text.contains("6 passed"), "{knobs:?}: {text}");
}

#[test]
fn a_kernel_that_gives_three_bytes_at_a_time() {
    run_with(&[("NETCONN_DEBUG_RMAX", "3")]);
}

#[test]
fn a_kernel_that_takes_999_bytes_at_a_time() {
    run_with(&[("NETCONN_DEBUG_WMAX", "999")]);
}

#[test]
fn a_kernel_that_is_busy_every_other_time() {
    run_with(&[
        ("NETCONN_DEBUG_RBLOCK", "50"),
        ("NETCONN_DEBUG_WBLOCK", "50"),
    ]);
}
