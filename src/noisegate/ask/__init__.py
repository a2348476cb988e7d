"""Way 1: a question becomes an answer."""

from noisegate.ask.answer import Answer
from noisegate.ask.desk import Desk
from noisegate.ask.explain import explain
from noisegate.ask.question import Question, parse_number

__all__ = ["Answer", "Desk", "Question", "explain", "parse_number"]
