"""What is true: the board, its states, and the decisions a write needs.

Knows nothing of processes, HTTP, prompts' words or calendars' protocols.

    errors, clock, states, record   pure facts everybody may import
    board, writer, migrations, lock the file: one writer, readers, its shape, one daemon
    move, verbs, families           every move of a task, and what follows for its relatives
    gates, claims, policy           decisions: may it be claimed?, by whom?, try again?
    attempts, agents, journal       what happens around a move: processes' facts, who works, what was said
    slots                           one slot record becomes one task
    tokens, standing_tokens         who calls, and tokens made and revoked
    content                         the files that calls name
    forms, reports, people          what may be said, what agents may do, what people may do
    feed, feed_text                 reads: what calendar programs are told, and as iCalendar
    questions                       reads: a task's story, why it waits, what a prompt needs
"""
