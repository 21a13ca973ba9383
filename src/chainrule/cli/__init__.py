"""The command line: `chainrule diff`, `chainrule demo`, `chainrule info`."""
