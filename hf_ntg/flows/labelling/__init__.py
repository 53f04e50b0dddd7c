"""What class a flow is of: rules by file and table, server names, nDPI."""
