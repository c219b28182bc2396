"""The commands: each module reads the arguments of one and calls the function that does it.

The function has the command's name, e.g. `plan`; only `test`, named as in mmseg, calls `evaluate`, and
`prepare_camvid`, which changes nothing, calls `check_camvid`. A function that takes many arguments from the
command line takes them as one request: `plan(PlanRequest(...))`.
"""
