"""Labels flows with a class: rules by file and table, server names, nDPI."""
