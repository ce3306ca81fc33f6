"""How agents' programs are started, stopped and understood: one file of data a runner, and one pure parser.

`table.RUNNERS` names them all. Nothing here starts anything or knows the board.
"""
