"""What is true: the board, its states, and the decisions a write needs.

Knows nothing of processes, HTTP, prompts' words or calendars' protocols.

    errors, clock, states      pure facts everybody may import
    board, lock, migrations    the file: one writer, readers, one daemon
    verbs                      every move of a task
    attempts, journal          what happens around a move: processes' facts, outputs, comments, refusals
    policy, gates, families    decisions: try again?, may it be claimed?, what follows for its relatives?
    slots                      one slot record becomes one task
    reports                    what an agent or a person may say, and applying it
    questions                  reads: a task's story, why it waits, what a prompt needs
"""
