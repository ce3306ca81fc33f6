"""What happens next: the command line, the configuration, and the daemon that turns due work into processes.

cli, commands/             the commands a person types; cli is the only place where api and orchestrator meet
config, config_environment what the operator set, checked before anything starts
roads, remote              how a command writes: itself, or by the daemon that holds the board
preflight                  what `check` looks at
daemon                     one running instance: socket, lock, board, tick, API
"""
