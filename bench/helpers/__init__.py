"""What benchmarks share: a throw-away server, timing, a real daemon, simulated bars, other sides."""
