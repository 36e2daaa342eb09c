"""Commands for whoever operates the platform, and no one else.

What belongs here: `alerts`, `archive`, `backup`, `restore`, `check`, `dev` with its services, `metrics`, `runs`,
`store`, `worker`.
Kept elsewhere: all other commands (the files of `cli/`).
"""
