// media._engine: the engine for Python. Each function is documented in media/_engine.pyi.
#include "challenges.hpp"
#include "connections.hpp"
#include "dialogs.hpp"
#include "door.hpp"
#include "engine.hpp"
#include "names.hpp"
#include "other_requests.hpp"
#include "pjlog.hpp"
#include "realtime.hpp"
#include "screen.hpp"
#include "tap.hpp"
#include "trusted.hpp"
#include "wakeup.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <arpa/inet.h>
#include <pjsua-lib/pjsua.h>
#include <swigpyrun.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace offhook {
namespace {

using PcmIn = nb::ndarray<const std::int16_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using PcmOut = nb::ndarray<nb::numpy, const std::int16_t, nb::ndim<1>>;

constexpr unsigned kBridgeRate_hz = 8000;

nb::object record_tuple(const Record& record) {
    PyObject* tuple = PyTuple_New(5);
    if (tuple == nullptr) nb::raise_python_error();
    PyTuple_SET_ITEM(tuple, 0, PyLong_FromUnsignedLong(record.slot));
    PyTuple_SET_ITEM(tuple, 1, PyLong_FromLong(static_cast<long>(record.kind)));
    PyTuple_SET_ITEM(tuple, 2, PyLong_FromLongLong(record.begin));
    PyTuple_SET_ITEM(tuple, 3, PyLong_FromLongLong(record.end));
    PyTuple_SET_ITEM(tuple, 4, PyLong_FromLongLong(record.time_ns));
    return nb::steal(tuple);
}

nb::tuple read(Engine& engine) {
    auto batch = std::make_unique<Batch>();
    engine.inbox().take(*batch);
    PyObject* records = PyList_New(static_cast<Py_ssize_t>(batch->records.size()));
    if (records == nullptr) nb::raise_python_error();
    nb::object list = nb::steal(records);
    for (std::size_t i = 0; i < batch->records.size(); ++i)
        PyList_SET_ITEM(records, static_cast<Py_ssize_t>(i), record_tuple(batch->records[i]).release().ptr());
    // The samples are not copied: every frame is a view of this array, which is freed with the last view.
    Batch* raw = batch.release();
    nb::capsule owner(raw, [](void* p) noexcept { delete static_cast<Batch*>(p); });
    return nb::make_tuple(list, PcmOut(raw->pcm.data(), {raw->pcm.size()}, owner));
}

PcmOut sent(Slot& slot, std::size_t samples) {
    auto pcm = std::make_unique<std::vector<std::int16_t>>(slot.sent(samples));
    std::vector<std::int16_t>* raw = pcm.release();
    nb::capsule owner(raw, [](void* p) noexcept { delete static_cast<std::vector<std::int16_t>*>(p); });
    return PcmOut(raw->data(), {raw->size()}, owner);
}

// The tap port as the SWIG pointer that pjsua2 expects in OnStreamCreatedParam.pPort.
nb::object attach(Engine& engine, const std::shared_ptr<Slot>& slot, std::uintptr_t stream) {
    // pPort is a void pointer, which pjsua2 accepts from a SWIG object of any type. This type always exists in pjsua2.
    swig_type_info* type = SWIG_TypeQuery("pj::MediaPort *");
    if (type == nullptr) throw std::runtime_error("pjsua2 must be imported before a stream is attached");
    engine.attach(slot, reinterpret_cast<pjmedia_stream*>(stream));
    return nb::steal(SWIG_NewPointerObj(make_tap_port(kBridgeRate_hz), type, 0));
}

// Decodes received bytes in the same way as pjsua2.
nb::object text(const std::string& bytes) {
    return nb::steal(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape"));
}

void ask_judge(nb::callable may_answer) {
    judge_challenges([may_answer = std::move(may_answer)](const Challenge& one) {
        nb::gil_scoped_acquire held;
        try {
            return nb::cast<bool>(may_answer(one.account, text(one.method), text(one.realm), text(one.source),
                                             text(one.sent_to), one.answered, one.stale));
        } catch (nb::python_error& error) {
            error.discard_as_unraisable("judge_challenges");
        } catch (const nb::cast_error&) {
        }
        return false;
    });
}

using OwnPorts = std::tuple<std::string, std::uint16_t, std::uint16_t>;

std::shared_ptr<OwnAddresses> own_addresses(const std::vector<OwnPorts>& ports) {
    auto own = std::make_shared<OwnAddresses>();
    for (const auto& [host, first, last] : ports) {
        in_addr address{};
        if (::inet_pton(AF_INET, host.c_str(), &address) != 1)
            throw std::invalid_argument("own: " + host + " is no IPv4 address");
        own->add(ntohl(address.s_addr), first, last);
    }
    return own;
}

void bind_values(nb::module_& m) {
    nb::class_<Tuning>(m, "Tuning")
        .def(
            "__init__",
            [](Tuning* self, std::int64_t reorder_ms, std::int64_t fill_after_ms, std::int64_t silent_after_ms,
               unsigned playout_limit_ms, const std::vector<OwnPorts>& own) {
                new (self) Tuning{reorder_ms * 1'000'000, fill_after_ms * 1'000'000, silent_after_ms * 1'000'000,
                                  playout_limit_ms};
                self->own = own_addresses(own);
            },
            nb::kw_only(), "reorder_ms"_a = 40, "fill_after_ms"_a = 60, "silent_after_ms"_a = 5000,
            "playout_limit_ms"_a = 120'000, "own"_a = std::vector<OwnPorts>());
    nb::class_<Position>(m, "Position")
        .def_ro("played_samples", &Position::played_samples)
        .def_ro("queued_samples", &Position::queued_samples)
        .def_ro("wait_ms", &Position::wait_ms);
    nb::class_<Flushed>(m, "Flushed")
        .def_ro("played_samples", &Flushed::played_samples)
        .def_ro("dropped_samples", &Flushed::dropped_samples)
        .def_ro("dropped_marks", &Flushed::dropped_marks);
    nb::class_<Counters>(m, "Counters")
        .def_ro("frames_in", &Counters::frames_in)
        .def_ro("frames_concealed", &Counters::frames_concealed)
        .def_ro("frames_filled", &Counters::frames_filled)
        .def_ro("frames_overrun", &Counters::frames_overrun)
        .def_ro("frames_out", &Counters::frames_out)
        .def_ro("taps_missed", &Counters::taps_missed)
        .def_ro("send_errors", &Counters::send_errors)
        .def_ro("packets_received", &Counters::packets_received)
        .def_ro("packets_lost", &Counters::packets_lost)
        .def_ro("packets_discarded", &Counters::packets_discarded)
        .def_ro("packets_reordered", &Counters::packets_reordered)
        .def_ro("packets_late", &Counters::packets_late)
        .def_ro("packets_foreign", &Counters::packets_foreign)
        .def_ro("packets_sent", &Counters::packets_sent)
        .def_ro("jitter_ms", &Counters::jitter_ms)
        .def_ro("peer_loss_pct", &Counters::peer_loss_pct)
        .def_ro("round_trip_ms", &Counters::round_trip_ms);
}

void bind_slot(nb::module_& m) {
    nb::class_<Slot>(m, "Slot")
        .def_prop_ro("id", &Slot::id)
        .def_prop_ro("rate_hz", &Slot::rate_hz)
        .def_prop_ro("period_ms", &Slot::period_ms)
        .def(
            "play",
            [](Slot& slot, const PcmIn& pcm, std::optional<Mark> mark) {
                return slot.play({pcm.data(), pcm.data() + pcm.shape(0)}, mark);
            },
            "pcm"_a.noconvert(), "mark"_a = nb::none())  // otherwise floats would silently be truncated to 0
        .def("expect_from", &Slot::expect_from, "host"_a)
        .def("trust", &Slot::trust)
        .def("confirm", &Slot::confirm)
        .def("flush", &Slot::flush)
        .def("pause", [](Slot& slot) { slot.pause(true); })
        .def("resume", [](Slot& slot) { slot.pause(false); })
        .def("position", &Slot::position)
        .def("counters", &Slot::counters)
        .def("sent", &sent, "samples"_a)
        .def("tap_sent", &Slot::tap_sent, "tapped"_a)
        .def(
            "press",
            [](Slot& slot, const std::string& digit, unsigned duration_ms) {
                if (digit.size() != 1) throw std::invalid_argument("a key is one sign");
                slot.press(digit[0], duration_ms);
            },
            "digit"_a, "duration_ms"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("detach", &Slot::detach, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace

NB_MODULE(_engine, m) {
    nb::set_leak_warnings(false);  // calls may be active at exit, with their slots
    bind_values(m);
    bind_slot(m);
    nb::class_<Engine>(m, "Engine")
        .def(nb::init<const Tuning&, unsigned>(), "tuning"_a, nb::kw_only(), "clock_threads"_a = 1)
        .def("open", &Engine::open, nb::keep_alive<0, 1>())
        .def("attach", &attach, "slot"_a, "stream"_a)
        .def("read", &read)
        .def("fileno", [](Engine& engine) { return engine.inbox().fd(); })
        .def_prop_ro("slots", [](const Engine&) { return Slot::alive(); })
        .def_prop_ro("late_ticks", &Engine::late_ticks)
        .def_prop_ro("realtime", &Engine::realtime);
    m.attr("FRAME") = static_cast<int>(Kind::Frame);
    m.attr("DTMF") = static_cast<int>(Kind::Dtmf);
    m.attr("MARK") = static_cast<int>(Kind::Mark);
    m.attr("DRAINED") = static_cast<int>(Kind::Drained);
    m.attr("SILENT") = static_cast<int>(Kind::Silent);
    m.attr("HEARD") = static_cast<int>(Kind::Heard);
    m.attr("SENT") = static_cast<int>(Kind::Sent);

    nb::class_<RealTime>(m, "RealTime")
        .def(nb::init<>())
        .def("add", &RealTime::add, "thread"_a, "priority"_a)
        .def("is_demoted", &RealTime::is_demoted, "thread"_a)
        .def_prop_ro("demotions", &RealTime::demotions)
        .def_prop_ro("demoted", &RealTime::demoted);

    nb::class_<Wakeup>(m, "Wakeup")
        .def("__init__",
             [](Wakeup* self) {
                 pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
                 if (endpoint == nullptr) throw std::runtime_error("the SIP endpoint must be initialised first");
                 new (self) Wakeup(pjsip_endpt_get_ioqueue(endpoint), pjsua_get_pool_factory());
             })
        .def("wake", &Wakeup::wake)
        .def("close", &Wakeup::close);
    m.def("max_calls", &pjsua_call_get_max_count);
    m.def(
        "transport_of",
        [](std::uintptr_t message) {
            return reinterpret_cast<std::uintptr_t>(reinterpret_cast<pjsip_rx_data*>(message)->tp_info.transport);
        },
        "message"_a);
    m.def("refuse_other_requests", &refuse_other_requests);
    m.def("limit_connections", &limit_connections, nb::kw_only(), "all"_a, "per_source"_a);
    m.def(
        "next_hop",
        [](std::uintptr_t message) { return text(next_hop(reinterpret_cast<const pjsip_rx_data*>(message))); },
        "message"_a);
    m.def(
        "route_dialog",
        [](int call, std::uintptr_t message, bool to_source) {
            route_dialog(call, reinterpret_cast<pjsip_rx_data*>(message), to_source);
        },
        "call"_a, "message"_a, nb::kw_only(), "to_source"_a);
    m.def("look_names_up", &look_names_up, "servers"_a, "own"_a);
    m.def("note_call", &note_call, "call"_a, nb::kw_only(), "is_trunks"_a);
    m.def("trust_name", &trust_name, "name"_a);
    m.def("trust_hosts", &trust_hosts, "networks"_a);
    m.def("install_door", &install_door, "retry_after_s"_a, nb::kw_only(), "kept_for_trunks"_a);
    m.def("close_door", &close_door, "closed"_a);
    m.def("take_turned_away", [] {
        nb::list reasons;
        for (const TurnedAway& turned_away : take_turned_away()) {
            nb::list first;
            for (const Caller& one : turned_away.first)
                first.append(nb::make_tuple(nb::bytes(one.sip_call_id.data(), one.sip_call_id.size()), one.source));
            reasons.append(nb::make_tuple(turned_away.why, turned_away.count, first));
        }
        return reasons;
    });
    m.def("judge_challenges", &ask_judge, "may_answer"_a);
    m.def("screen_requests", &screen_requests);
    m.def("malformed_messages", &malformed_messages);
    m.def("excessive_requests", &excessive_requests);
    m.def("capture_pjlog", &capture_pjlog);
    m.def("pjlog_fileno", &pjlog_fd);
    m.def("take_pjlog", [] {
        unsigned long dropped = 0;
        nb::list lines;
        for (const LogLine& line : take_pjlog(dropped))
            lines.append(nb::make_tuple(line.level, nb::bytes(line.text.data(), line.text.size())));
        return nb::make_tuple(lines, dropped);
    });
}

}  // namespace offhook
