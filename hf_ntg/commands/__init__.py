"""The commands of `ntg`. Each reads its arguments, calls the package and reports the result."""
