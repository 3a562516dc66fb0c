"""The command line: one module per command, a thin layer over the folders that do the work.

Modules are imported when their command is called. Nothing else imports this folder.
"""
