"""Workers: processes that execute the runs that a broker hands to them.

What belongs here: what a worker requires before it computes (`requirements.py`), and the process with its
children (`process.py`).
Kept elsewhere: the broker (`broker/`), the execution of one run (`dagster_patches/queue/execution.py`), the
command (`cli/operating/worker.py`).
"""
