"""The consensus core: the Raft paper's Figure 2 and Figure 13, a file for each box, pure.

Standard library only; no clock, disk, socket, logger or global random. Read raft.py first (the one mutator), then the
boxes: state.py, append_entries.py, request_vote.py, install_snapshot.py, and timers.py with roles.py for the rules of
servers. Every rule carries its id, once, where it is carried out: F2 is Figure 2, then the box (STA AE RV ALL FOL CAN LEA,
and IS for Figure 13), then the number of the rule there; P is a section of the paper, T one of the thesis. docs/paper.md
maps each to its function and its tests.
"""
