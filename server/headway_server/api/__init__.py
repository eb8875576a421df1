"""HTTP: parse, call one use case, render. The only rules here are those of HTTP itself."""
