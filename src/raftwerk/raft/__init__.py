"""The consensus core: the Raft paper's Figure 2 and Figure 13, a file for each box, pure.

Standard library only; no clock, disk, socket, logger or global random. Read raft.py first (the one mutator), then the
boxes: state.py, append_entries.py, request_vote.py, install_snapshot.py, and timers.py with roles.py for the rules of
servers. Every rule carries its id where it is carried out: F2.AE.3 is Figure 2, AppendEntries, receiver rule 3; T4.2.3
a section of the thesis; P5.4.2 one of the paper. docs/paper.md maps each to its function and its tests.
"""
