"""The commands of `ntg`: each reads its arguments, calls the package and says what was made."""
