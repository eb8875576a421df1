"""Jobs of whoever runs the server: tick, doctor, backup, restore, garbage collection. Used by the command line."""
