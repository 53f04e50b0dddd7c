"""Other people's flow tables: MIRAGE, CESNET, and tables with columns of other names."""
