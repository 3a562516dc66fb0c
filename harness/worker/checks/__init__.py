"""What the checks of one suite call, one module a suite, and the calls that test the protocol itself."""
