"""Commands for whoever operates the platform, and no one else.

<<<<<<< HEAD
What belongs here: `alerts`, `check`, `runs`. Kept elsewhere: all other commands (the files of `cli/`).
=======
What belongs here: `alerts`, `check`, `metrics`. Kept elsewhere: all other commands (the files of `cli/`).
>>>>>>> main
"""
