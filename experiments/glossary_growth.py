"""Entries of `glossary` of how costs grow: with sizes, and with chips."""

GROWTH = {
    "<swept>.<axis>.time_exponent": ": Exponent of the time over the larger sizes. The error "
    "is over turns and over sizes; the truth is what theory expects, as of the next two.",
    "<swept>.<axis>.operations_exponent": ": Exponent of the operations of products.",
    "<swept>.<axis>.memory_exponent": ": Exponent of the memory.",
    "<swept>.devices.share_exponent": ": Exponent of the operations of each device over the "
    "number of devices, at one batch for all.",
    "<swept>.<axis>=<size>.time": "ms: Time of an update or a call, the median over turns: "
    "on CPUs that of the CPU which the process used.",
    "<swept>.<axis>=<size>.operations": "GFLOP: Operations of matrix products and convolutions.",
    "<swept>.<axis>=<size>.memory": "MB: Memory.",
    "<swept>.devices=<size>.summed": "MB: Bytes that an update sums over so many devices.",
    "<swept>.devices=<size>.sums": "an update: Sums over devices.",
    "<swept>.devices=<size>.sent_beside": "MB: What each device sends beside these sums, if "
    "they stand in a ring.",
    "<swept>.devices=<size>.share": "GFLOP: Operations of each device, by XLA's analysis, "
    "which counts the body of a loop once.",
}
COUNTED = {
    "<real>.parameters": "million: Numbers in the parameters.",
    "<real>.state": "MB: The train state on each chip.",
    "<real>.operations": "GFLOP an example: Operations of matrix products and convolutions.",
    "<real>.summed": "MB an update: Bytes that are summed over chips.",
    "<real>.sums": "an update: Sums over chips, as they stand in the program for CPUs.",
    "<real>.sent_beside": "MB an update: What each of 8 devices sends beside.",
    "<real>.balanced_batch": "examples of a chip: At which arithmetic takes as long as the "
    "sums over the largest number of chips.",
}
POD = COUNTED | {
    f"<real>.chips=<size>.{kind}.{part}": entry
    for kind in ("one_batch", "own_batch")
    for part, entry in {
        "arithmetic": "us an update: Predicted time of a chip's examples.",
        "state": "us an update: Predicted time of reading and writing the state.",
        "sums": "us an update: Predicted time of the sums.",
        "dispatch": "us an update: The update's share of the agreement on stops.",
        "efficiency": "of the rate of one chip: Predicted examples a second of each chip, of "
        "those that one chip alone would make.",
    }.items()
}
