"""How others speak to the blackboard: HTTP in, reports and verbs out.

Turns requests into `blackboard.reports` and questions, and their answers into small JSON. Decides nothing about
tasks itself, never imports `orchestrator`, and never writes to the board but through `board.write`.

    guard, origins         what is refused before any route is asked
    problems               every error → RFC 9457 problem+json with one sentence
    bodies, files          JSON, form or raw body → one report, and the files it names
    callers, refusals      who calls, from the token only; counting what an attempt was refused
    endpoints              what a route is: the table everything else is made from
    callbacks              agents' routes
    operate                operators' routes
    reading                what can be read: a task, events
    calendar               the calendar's own protocol
    calendar_forms         what it takes and answers
    health                 alive and ready
    schemas, media         what answers and bodies hold, as JSON Schema
    openapi, examples      the table as an OpenAPI document, and a curl line for each row
    page, document         the document as a page for people; serving both
    app                    puts them together
"""

from api.app import create_app
from api.endpoints import ApiConfig

__all__ = ["ApiConfig", "create_app"]
