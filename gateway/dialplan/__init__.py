"""Which route a call takes, and what its steps do: YAML files, a pure matcher, and a runner over `CallControl`."""

from gateway.dialplan.control import AgentEnded, CallControl, Cause, Why
from gateway.dialplan.invite import Invite, invite, user_part
from gateway.dialplan.load import LoadedPlan, load_plan
from gateway.dialplan.match import find_route
from gateway.dialplan.model import Route
from gateway.dialplan.plan import Plan
from gateway.dialplan.run import Ending, run_route
from gateway.dialplan.store import PlanStore

__all__ = [
    "AgentEnded",
    "CallControl",
    "Cause",
    "Ending",
    "Invite",
    "LoadedPlan",
    "Plan",
    "PlanStore",
    "Route",
    "Why",
    "find_route",
    "invite",
    "load_plan",
    "run_route",
    "user_part",
]
