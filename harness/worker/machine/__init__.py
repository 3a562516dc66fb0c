"""What a worker knows of its machine: devices, processors, compilers, its limits, packages it may lack."""
