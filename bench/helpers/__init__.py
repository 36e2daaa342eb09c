"""What benchmarks share: a throw-away server, interleaved timing, a real daemon, simulated bars, other sides of a comparison."""
