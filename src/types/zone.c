/*
 * Time zones: the TZif reader, POSIX rules, and offsets for an instant.
 *
 * A TZif file (RFC 8536) holds its data twice: with 32-bit times for old readers and, from version
 * 2 on, with 64-bit times, followed by a POSIX rule for all later times. Only the second block is
 * used. Every count and index is checked: the files are the system's, but not ours.
 */
#include "types/zone.h"

#include "base/world.h"

#include <assert.h>
#include <stdio.h>

enum {
    SECONDS_PER_DAY = 86400,
    ABBREVIATION_BYTES = 16,
    NAME_BYTES = 64,
    FILE_BYTES_MAX = 32 << 10, /* The largest of all zones has 4 KiB. */
    TYPES_MAX = 256,
};

typedef struct zone_type {
    int32_t seconds;
    bool is_dst;
    char abbreviation[ABBREVIATION_BYTES];
} zone_type;

typedef enum rule_form {
    RULE_MONTH_WEEK_DAY, /* Mm.w.d */
    RULE_JULIAN,         /* Jn, 1 .. 365, 29 February never counted */
    RULE_DAY,            /* n, 0 .. 365 */
} rule_form;

typedef struct rule_date {
    rule_form form;
    int32_t month, week, day;
    int32_t seconds; /* After local midnight, may be negative or beyond a day. */
} rule_date;

typedef struct zone_rule {
    zone_type standard;
    zone_type daylight;
    bool has_daylight;
    rule_date starts; /* Daylight time, in standard time. */
    rule_date ends;   /* In daylight time. */
} zone_rule;

struct kd_zone {
    char name[NAME_BYTES];
    uint32_t transition_count;
    uint32_t type_count;
    const int64_t *transitions;
    const uint8_t *transition_types;
    const zone_type *types;
    bool has_rule;
    zone_rule rule;
    const kd_zone *whole; /* Of an abbreviation that changed with time: its zone. */
};

static const zone_type utc_types[1] = {{.abbreviation = "UTC"}};
static const kd_zone utc_zone = {.name = "UTC", .type_count = 1, .types = utc_types};

const kd_zone *kd_zone_utc(void)
{
    return &utc_zone;
}

const char *kd_zone_name(const kd_zone *zone)
{
    return zone == NULL ? utc_zone.name : zone->name;
}

/* ---- Days ---- */

static int64_t days_from_civil(int64_t year, int32_t month, int32_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static int64_t year_of(int64_t unix_seconds)
{
    int64_t days = unix_seconds / SECONDS_PER_DAY - (unix_seconds % SECONDS_PER_DAY < 0);
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    return era * 400 + year_of_era + (day_of_year >= 306);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* ---- POSIX rules ---- */

typedef struct rule_text {
    const char *at;
    const char *end;
} rule_text;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool take(rule_text *text, char c)
{
    if (text->at == text->end || *text->at != c)
        return false;
    text->at++;
    return true;
}

static bool take_number(rule_text *text, int32_t max, int32_t *out)
{
    int32_t value = 0;
    if (text->at == text->end || !is_digit(*text->at))
        return false;
    for (; text->at < text->end && is_digit(*text->at); text->at++) {
        value = value * 10 + (*text->at - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return true;
}

static bool take_name(rule_text *text, char out[ABBREVIATION_BYTES])
{
    bool is_quoted = take(text, '<');
    size_t size = 0;
    for (; text->at < text->end; text->at++) {
        char c = *text->at;
        if (is_quoted ? c == '>' : !is_letter(c))
            break;
        if (size + 1 >= ABBREVIATION_BYTES)
            return false;
        out[size++] = c;
    }
    out[size] = '\0';
    return size >= 3 && (!is_quoted || take(text, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(rule_text *text, int32_t hour_max, int32_t *out_seconds)
{
    bool negative = take(text, '-');
    if (!negative)
        take(text, '+');
    int32_t hours;
    int32_t minutes = 0;
    int32_t seconds = 0;
    if (!take_number(text, hour_max, &hours))
        return false;
    if (take(text, ':')) {
        if (!take_number(text, 59, &minutes))
            return false;
        if (take(text, ':') && !take_number(text, 59, &seconds))
            return false;
    }
    int32_t total = hours * 3600 + minutes * 60 + seconds;
    *out_seconds = negative ? -total : total;
    return true;
}

static bool take_date(rule_text *text, rule_date *out)
{
    *out = (rule_date){.form = RULE_DAY, .seconds = 7200};
    if (take(text, 'M')) {
        out->form = RULE_MONTH_WEEK_DAY;
        if (!take_number(text, 12, &out->month) || !take(text, '.') ||
            !take_number(text, 5, &out->week) || !take(text, '.') ||
            !take_number(text, 6, &out->day) || out->month == 0 || out->week == 0)
            return false;
    } else {
        if (take(text, 'J'))
            out->form = RULE_JULIAN;
        if (!take_number(text, 365, &out->day) || (out->form == RULE_JULIAN && out->day == 0))
            return false;
    }
    return !take(text, '/') || take_time(text, 167, &out->seconds);
}

static bool rule_parse(kd_slice source, zone_rule *out)
{
    *out = (zone_rule){0};
    rule_text text = {source.data, source.data + source.size_bytes};
    int32_t west;
    if (!take_name(&text, out->standard.abbreviation) || !take_time(&text, 24, &west))
        return false;
    out->standard.seconds = -west;
    if (text.at == text.end)
        return true;
    if (!take_name(&text, out->daylight.abbreviation))
        return false;
    out->has_daylight = true;
    out->daylight.is_dst = true;
    out->daylight.seconds = out->standard.seconds + 3600;
    if (text.at < text.end && *text.at != ',') {
        if (!take_time(&text, 24, &west))
            return false;
        out->daylight.seconds = -west;
    }
    if (text.at == text.end) { /* "EST5EDT" alone: the rules of the United States. */
        out->starts = (rule_date){.month = 3, .week = 2, .seconds = 7200};
        out->ends = (rule_date){.month = 11, .week = 1, .seconds = 7200};
        return true;
    }
    return take(&text, ',') && take_date(&text, &out->starts) && take(&text, ',') &&
           take_date(&text, &out->ends) && text.at == text.end;
}

/* When the rule's date falls in `year`, in seconds since 1970 of the clock that it is told in. */
static int64_t rule_date_seconds(const rule_date *rule, int64_t year)
{
    int64_t days;
    if (rule->form == RULE_MONTH_WEEK_DAY) {
        int64_t first = days_from_civil(year, rule->month, 1);
        int64_t next = rule->month == 12 ? days_from_civil(year + 1, 1, 1)
                                         : days_from_civil(year, rule->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday. */
        days = first + (rule->day - weekday + 7) % 7 + (int64_t)(rule->week - 1) * 7;
        while (days >= next) /* Week 5 means the last. */
            days -= 7;
    } else {
        days = days_from_civil(year, 1, 1) + rule->day;
        if (rule->form == RULE_JULIAN)
            days += (is_leap(year) && rule->day >= 60) - 1;
    }
    return days * SECONDS_PER_DAY + rule->seconds;
}

static const zone_type *rule_at(const zone_rule *rule, int64_t unix_seconds)
{
    if (!rule->has_daylight)
        return &rule->standard;
    int64_t year = year_of(unix_seconds + rule->standard.seconds);
    int64_t starts = rule_date_seconds(&rule->starts, year) - rule->standard.seconds;
    int64_t ends = rule_date_seconds(&rule->ends, year) - rule->daylight.seconds;
    bool is_daylight = starts < ends ? unix_seconds >= starts && unix_seconds < ends
                                     : unix_seconds >= starts || unix_seconds < ends;
    return is_daylight ? &rule->daylight : &rule->standard;
}

/* ---- Offsets ---- */

static const zone_type *type_at(const kd_zone *zone, int64_t unix_seconds)
{
    uint32_t count = zone->transition_count;
    if (zone->has_rule && (count == 0 || unix_seconds >= zone->transitions[count - 1]))
        return rule_at(&zone->rule, unix_seconds);
    if (count == 0 || unix_seconds < zone->transitions[0])
        return &zone->types[0];
    uint32_t low = 0; /* transitions[low] <= unix_seconds < transitions[high] */
    uint32_t high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->transitions[middle] <= unix_seconds)
            low = middle;
        else
            high = middle;
    }
    return &zone->types[zone->transition_types[low]];
}

static kd_zone_offset offset_of(const zone_type *type)
{
    return (kd_zone_offset){
        .seconds = type->seconds, .is_dst = type->is_dst, .abbreviation = type->abbreviation};
}

kd_zone_offset kd_zone_at_utc(const kd_zone *zone, int64_t unix_seconds)
{
    return offset_of(type_at(zone == NULL ? &utc_zone : zone, unix_seconds));
}

kd_zone_offset kd_zone_at_local(const kd_zone *zone, int64_t local_seconds)
{
    if (zone == NULL)
        zone = &utc_zone;
    if (zone->whole != NULL) /* The zone tells the instant, and that what the abbreviation meant. */
        return kd_zone_at_utc(zone,
                              local_seconds - kd_zone_at_local(zone->whole, local_seconds).seconds);
    /* Offsets stay below a day, so the two instants enclose every reading of the local time. */
    const zone_type *before = type_at(zone, local_seconds - SECONDS_PER_DAY);
    const zone_type *after = type_at(zone, local_seconds + SECONDS_PER_DAY);
    if (before->seconds == after->seconds) {
        const zone_type *now = type_at(zone, local_seconds - before->seconds);
        return offset_of(now);
    }
    bool before_holds = type_at(zone, local_seconds - before->seconds)->seconds == before->seconds;
    bool after_holds = type_at(zone, local_seconds - after->seconds)->seconds == after->seconds;
    if (before_holds && after_holds) /* Twice: the later reading. */
        return offset_of(after);
    return offset_of(after_holds ? after : before);
}

/* ---- TZif ---- */

typedef struct tzif_counts {
    uint32_t utc_flags, standard_flags, leap_seconds, transitions, types, name_bytes;
} tzif_counts;

static uint32_t big_u32(const char *at)
{
    return __builtin_bswap32(kd_load_u32(at));
}

static bool read_header(kd_reader *reader, uint8_t *out_version, tzif_counts *out)
{
    const char *header = kd_read_bytes(reader, 44);
    if (header == NULL || memcmp(header, "TZif", 4) != 0)
        return false;
    *out_version = (uint8_t)header[4];
    *out = (tzif_counts){
        .utc_flags = big_u32(header + 20),
        .standard_flags = big_u32(header + 24),
        .leap_seconds = big_u32(header + 28),
        .transitions = big_u32(header + 32),
        .types = big_u32(header + 36),
        .name_bytes = big_u32(header + 40),
    };
    return out->transitions <= FILE_BYTES_MAX && out->types <= TYPES_MAX &&
           out->name_bytes <= FILE_BYTES_MAX && out->leap_seconds <= FILE_BYTES_MAX &&
           out->utc_flags <= TYPES_MAX && out->standard_flags <= TYPES_MAX;
}

static size_t block_bytes(const tzif_counts *counts, size_t time_bytes)
{
    return counts->transitions * (time_bytes + 1) + (size_t)counts->types * 6 + counts->name_bytes +
           counts->leap_seconds * (time_bytes + 4) + counts->standard_flags + counts->utc_flags;
}

static bool types_read(const char *records, const char *names, const tzif_counts *counts,
                       zone_type *out)
{
    for (uint32_t i = 0; i < counts->types; i++) {
        const char *record = records + (size_t)i * 6;
        uint8_t name = (uint8_t)record[5];
        out[i].seconds = (int32_t)big_u32(record);
        out[i].is_dst = record[4] != 0;
        if (name >= counts->name_bytes || out[i].seconds <= -SECONDS_PER_DAY ||
            out[i].seconds >= SECONDS_PER_DAY)
            return false;
        size_t size = strnlen(names + name, counts->name_bytes - name);
        if (size >= ABBREVIATION_BYTES)
            return false;
        memcpy(out[i].abbreviation, names + name, size);
    }
    return true;
}

static kd_status fail_file(kd_ctx *ctx, const char *name)
{
    return KD_FAIL(ctx, KD_CORRUPT, "58030", "time zone file \"%s\" is damaged", name);
}

/* Fills `zone` from the file's bytes. */
static kd_status tzif_read(kd_ctx *ctx, kd_arena *arena, kd_slice file, kd_zone *zone)
{
    kd_reader reader = kd_reader_of(file);
    tzif_counts counts;
    uint8_t version;
    if (!read_header(&reader, &version, &counts) || version < '2' ||
        kd_read_bytes(&reader, block_bytes(&counts, 4)) == NULL ||
        !read_header(&reader, &version, &counts) || counts.types == 0)
        return fail_file(ctx, zone->name);
    const char *block = kd_read_bytes(&reader, block_bytes(&counts, 8));
    if (block == NULL)
        return fail_file(ctx, zone->name);
    int64_t *transitions = KD_NEW_ARRAY(ctx, arena, int64_t, counts.transitions + 1u);
    uint8_t *indexes = KD_NEW_ARRAY(ctx, arena, uint8_t, counts.transitions + 1u);
    zone_type *types = KD_NEW_ARRAY(ctx, arena, zone_type, counts.types);
    if (transitions == NULL || indexes == NULL || types == NULL)
        return KD_NOMEM;
    const char *index_bytes = block + (size_t)counts.transitions * 8;
    for (uint32_t i = 0; i < counts.transitions; i++) {
        transitions[i] = (int64_t)__builtin_bswap64(kd_load_u64(block + (size_t)i * 8));
        indexes[i] = (uint8_t)index_bytes[i];
        if (indexes[i] >= counts.types || (i > 0 && transitions[i] <= transitions[i - 1]))
            return fail_file(ctx, zone->name);
    }
    const char *records = index_bytes + counts.transitions;
    if (!types_read(records, records + (size_t)counts.types * 6, &counts, types))
        return fail_file(ctx, zone->name);
    zone->transition_count = counts.transitions;
    zone->type_count = counts.types;
    zone->transitions = transitions;
    zone->transition_types = indexes;
    zone->types = types;
    /* The footer: a rule between two line ends; empty when there is none. */
    kd_slice footer = {reader.at, (size_t)(reader.end - reader.at)};
    if (footer.size_bytes > 2 && footer.data[0] == '\n') {
        const char *rule_end = memchr(footer.data + 1, '\n', footer.size_bytes - 1);
        if (rule_end == NULL)
            return fail_file(ctx, zone->name);
        kd_slice rule = {footer.data + 1, (size_t)(rule_end - footer.data - 1)};
        zone->has_rule = rule_parse(rule, &zone->rule);
    }
    return KD_OK;
}

/* ---- Names ---- */

/* Abbreviations of PostgreSQL's Default set with one meaning; minutes east. */
static const struct abbreviation {
    const char *name;
    int16_t minutes;
    bool is_dst;
} abbreviations[] = {
    {"acdt", 630, true},   {"acsst", 630, true},  {"acst", 570, false},  {"act", -300, false},
    {"acwst", 525, false}, {"adt", -180, true},   {"aedt", 660, true},   {"aesst", 660, true},
    {"aest", 600, false},  {"aft", 270, false},   {"akdt", -480, true},  {"akst", -540, false},
    {"almst", 420, true},  {"almt", 360, false},  {"amt", -240, false},  {"ast", -240, false},
    {"awsst", 540, true},  {"awst", 480, false},  {"azost", 0, true},    {"azot", -60, false},
    {"bdst", 120, true},   {"bdt", 360, false},   {"bnt", 480, false},   {"bort", 480, false},
    {"bot", -240, false},  {"bra", -180, false},  {"brst", -120, true},  {"brt", -180, false},
    {"bst", 60, true},     {"btt", 360, false},   {"cadt", 630, true},   {"cast", 570, false},
    {"cct", 480, false},   {"cdt", -300, true},   {"cest", 120, true},   {"cet", 60, false},
    {"cetdst", 120, true}, {"chadt", 825, true},  {"chast", 765, false}, {"chut", 600, false},
    {"clst", -180, true},  {"cot", -300, false},  {"cst", -360, false},  {"cxt", 420, false},
    {"ddut", 600, false},  {"eat", 180, false},   {"edt", -240, true},   {"eest", 180, true},
    {"eet", 120, false},   {"eetdst", 180, true}, {"egst", 0, true},     {"egt", -60, false},
    {"est", -300, false},  {"fet", 180, false},   {"fjst", 780, true},   {"fjt", 720, false},
    {"fnst", -60, true},   {"fnt", -120, false},  {"galt", -360, false}, {"gamt", -540, false},
    {"gft", -180, false},  {"gilt", 720, false},  {"gmt", 0, false},     {"hkt", 480, false},
    {"hst", -600, false},  {"ict", 420, false},   {"idt", 180, true},    {"irt", 210, false},
    {"ist", 120, false},   {"jayt", 540, false},  {"jst", 540, false},   {"kdt", 600, true},
    {"kgst", 360, true},   {"kst", 540, false},   {"lhst", 630, false},  {"ligt", 600, false},
    {"mart", -570, false}, {"mdt", -360, true},   {"mest", 120, true},   {"mesz", 120, true},
    {"met", 60, false},    {"metdst", 120, true}, {"mez", 60, false},    {"mht", 720, false},
    {"mmt", 390, false},   {"mpt", 600, false},   {"msd", 240, true},    {"mst", -420, false},
    {"must", 300, true},   {"mut", 240, false},   {"mvt", 300, false},   {"myt", 480, false},
    {"ndt", -150, true},   {"nft", -210, false},  {"npt", 345, false},   {"nst", -210, false},
    {"nzdt", 780, true},   {"nzst", 720, false},  {"nzt", 720, false},   {"pdt", -420, true},
    {"pet", -300, false},  {"pgt", 600, false},   {"pht", 480, false},   {"pkst", 360, true},
    {"pkt", 300, false},   {"pmdt", -120, true},  {"pmst", -180, false}, {"pont", 660, false},
    {"pst", -480, false},  {"pwt", 540, false},   {"pyst", -180, true},  {"ret", 240, false},
    {"sadt", 630, true},   {"sast", 120, false},  {"sct", 240, false},   {"taht", -600, false},
    {"tft", 300, false},   {"tjt", 300, false},   {"tot", 780, false},   {"trut", 600, false},
    {"tvt", 720, false},   {"uct", 0, false},     {"ulast", 540, true},  {"ut", 0, false},
    {"utc", 0, false},     {"uyst", -120, true},  {"uyt", -180, false},  {"uzst", 360, true},
    {"uzt", 300, false},   {"vut", 660, false},   {"wadt", 480, true},   {"wakt", 720, false},
    {"wast", 420, false},  {"wat", 60, false},    {"wdt", 540, true},    {"wet", 0, false},
    {"wetdst", 60, true},  {"wft", 720, false},   {"wgst", -120, true},  {"wgt", -180, false},
    {"xjt", 360, false},   {"yapt", 600, false},  {"yekst", 360, true},  {"z", 0, false},
    {"zulu", 0, false},
};

/* Those whose meaning has changed with time, and the zone that tells when. */
static const struct dated_abbreviation {
    const char *name;
    const char *zone;
} dated_abbreviations[] = {
    {"amst", "Asia/Yerevan"},
    {"anast", "Asia/Anadyr"},
    {"anat", "Asia/Anadyr"},
    {"arst", "America/Argentina/Buenos_Aires"},
    {"art", "America/Argentina/Buenos_Aires"},
    {"azst", "Asia/Baku"},
    {"azt", "Asia/Baku"},
    {"ckt", "Pacific/Rarotonga"},
    {"clt", "America/Santiago"},
    {"davt", "Antarctica/Davis"},
    {"easst", "Pacific/Easter"},
    {"east", "Pacific/Easter"},
    {"fkst", "Atlantic/Stanley"},
    {"fkt", "Atlantic/Stanley"},
    {"gest", "Asia/Tbilisi"},
    {"get", "Asia/Tbilisi"},
    {"gyt", "America/Guyana"},
    {"iot", "Indian/Chagos"},
    {"irkst", "Asia/Irkutsk"},
    {"irkt", "Asia/Irkutsk"},
    {"kgt", "Asia/Bishkek"},
    {"kost", "Pacific/Kosrae"},
    {"krast", "Asia/Krasnoyarsk"},
    {"krat", "Asia/Krasnoyarsk"},
    {"lhdt", "Australia/Lord_Howe"},
    {"lint", "Pacific/Kiritimati"},
    {"lkt", "Asia/Colombo"},
    {"magst", "Asia/Magadan"},
    {"magt", "Asia/Magadan"},
    {"mawt", "Antarctica/Mawson"},
    {"msk", "Europe/Moscow"},
    {"novst", "Asia/Novosibirsk"},
    {"novt", "Asia/Novosibirsk"},
    {"nut", "Pacific/Niue"},
    {"omsst", "Asia/Omsk"},
    {"omst", "Asia/Omsk"},
    {"petst", "Asia/Kamchatka"},
    {"pett", "Asia/Kamchatka"},
    {"pyt", "America/Asuncion"},
    {"sgt", "Asia/Singapore"},
    {"tkt", "Pacific/Fakaofo"},
    {"tmt", "Asia/Ashgabat"},
    {"ulat", "Asia/Ulaanbaatar"},
    {"vet", "America/Caracas"},
    {"vlast", "Asia/Vladivostok"},
    {"vlat", "Asia/Vladivostok"},
    {"volt", "Europe/Volgograd"},
    {"yakst", "Asia/Yakutsk"},
    {"yakt", "Asia/Yakutsk"},
    {"yekt", "Asia/Yekaterinburg"},
};

bool kd_zone_abbreviation(kd_slice name, int32_t *out_east_seconds, bool *out_is_dst)
{
    for (size_t i = 0; i < sizeof abbreviations / sizeof abbreviations[0]; i++) {
        if (!kd_slice_equal_ignoring_case(name, kd_slice_of(abbreviations[i].name)))
            continue;
        *out_east_seconds = abbreviations[i].minutes * 60;
        *out_is_dst = abbreviations[i].is_dst;
        return true;
    }
    return false;
}

static kd_status zone_from_rule(kd_ctx *ctx, kd_arena *arena, const char *name,
                                const zone_rule *rule, const kd_zone **out_zone)
{
    kd_zone *zone = KD_NEW(ctx, arena, kd_zone);
    if (zone == NULL)
        return KD_NOMEM;
    snprintf(zone->name, sizeof zone->name, "%s", name);
    zone->rule = *rule;
    zone->has_rule = true;
    zone->types = &zone->rule.standard;
    zone->type_count = 1;
    *out_zone = zone;
    return KD_OK;
}

kd_status kd_zone_open_fixed(kd_ctx *ctx, kd_arena *arena, int32_t east_seconds,
                             const kd_zone **out_zone)
{
    *out_zone = NULL;
    int32_t magnitude = east_seconds < 0 ? -east_seconds : east_seconds;
    char abbreviation[ABBREVIATION_BYTES];
    int size = snprintf(abbreviation, sizeof abbreviation, "%c%02d", east_seconds < 0 ? '-' : '+',
                        magnitude / 3600 % 100);
    if (magnitude % 3600 != 0)
        size += snprintf(abbreviation + size, sizeof abbreviation - (size_t)size, ":%02d",
                         magnitude / 60 % 60);
    if (magnitude % 60 != 0)
        snprintf(abbreviation + size, sizeof abbreviation - (size_t)size, ":%02d", magnitude % 60);
    zone_rule rule = {.standard = {.seconds = east_seconds}};
    memcpy(rule.standard.abbreviation, abbreviation, sizeof abbreviation);
    /* PostgreSQL's name for such a zone: a POSIX rule, whose sign counts west. */
    char name[NAME_BYTES];
    char mirrored[ABBREVIATION_BYTES];
    memcpy(mirrored, abbreviation, sizeof mirrored);
    mirrored[0] = east_seconds < 0 ? '+' : '-';
    snprintf(name, sizeof name, "<%s>%s", abbreviation, mirrored);
    return zone_from_rule(ctx, arena, name, &rule, out_zone);
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

typedef enum spelling { SPELLING_AS_IS, SPELLING_TITLE, SPELLING_UPPER, SPELLING_COUNT } spelling;

/* The name in one of the spellings of the database; small words ("of", "in") stay small. */
static void name_spell(kd_slice name, spelling form, char *out)
{
    for (size_t i = 0; i < name.size_bytes; i++) {
        char c = name.data[i];
        bool starts = i == 0 || memchr("/_-", name.data[i - 1], 3) != NULL;
        if (form == SPELLING_UPPER)
            c = upper(c);
        else if (form == SPELLING_TITLE)
            c = starts ? upper(c) : lower(c);
        out[i] = c;
    }
    out[name.size_bytes] = '\0';
}

static bool name_is_safe(kd_slice name)
{
    if (name.size_bytes == 0 || name.size_bytes >= NAME_BYTES || !is_letter(name.data[0]))
        return false;
    for (size_t i = 0; i < name.size_bytes; i++)
        if (!is_letter(name.data[i]) && !is_digit(name.data[i]) &&
            memchr("/_-+", name.data[i], 4) == NULL)
            return false;
    return true;
}

static kd_status database_find(kd_ctx *ctx, kd_arena *arena, kd_slice name,
                               const kd_zone **out_zone)
{
    if (!name_is_safe(name))
        return KD_OK;
    char file[FILE_BYTES_MAX];
    for (spelling form = SPELLING_AS_IS; form < SPELLING_COUNT; form++) {
        char spelled[NAME_BYTES];
        name_spell(name, form, spelled);
        char path[NAME_BYTES + 32];
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", spelled);
        size_t size_bytes = ctx->world->machine_read(ctx->world, path, file, FILE_BYTES_MAX);
        if (size_bytes < 4 || memcmp(file, "TZif", 4) != 0)
            continue;
        kd_slice bytes = {file, size_bytes};
        kd_zone *zone = KD_NEW(ctx, arena, kd_zone);
        if (zone == NULL)
            return KD_NOMEM;
        memcpy(zone->name, spelled, sizeof spelled);
        KD_TRY(tzif_read(ctx, arena, bytes, zone));
        *out_zone = zone;
        return KD_OK;
    }
    return KD_OK;
}

/* The type of interval `at` (0: before the first transition) with the abbreviation: the nearest
 * before, else the nearest after, else what the zone has there. */
static uint8_t dated_type(const kd_zone *zone, uint32_t at, const char *abbreviation)
{
    uint8_t own = at == 0 ? 0 : zone->transition_types[at - 1];
    for (uint32_t i = at + 1; i-- > 0;) {
        uint8_t type = i == 0 ? 0 : zone->transition_types[i - 1];
        if (strcmp(zone->types[type].abbreviation, abbreviation) == 0)
            return type;
    }
    for (uint32_t i = at; i < zone->transition_count; i++)
        if (strcmp(zone->types[zone->transition_types[i]].abbreviation, abbreviation) == 0)
            return zone->transition_types[i];
    return own;
}

/* A zone in which the abbreviation holds always, with the offset that it had at each time. */
static kd_status dated_zone(kd_ctx *ctx, kd_arena *arena, kd_slice name, const char *zone_name,
                            const kd_zone **out_zone)
{
    const kd_zone *whole = NULL;
    char abbreviation[ABBREVIATION_BYTES] = {0};
    KD_TRY(database_find(ctx, arena, kd_slice_of(zone_name), &whole));
    if (whole == NULL || whole->transition_count == 0)
        return KD_OK;
    kd_zone *zone = KD_NEW(ctx, arena, kd_zone);
    uint8_t *types = KD_NEW_ARRAY(ctx, arena, uint8_t, whole->transition_count);
    if (zone == NULL || types == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < name.size_bytes && i + 1 < sizeof abbreviation; i++)
        abbreviation[i] = upper(name.data[i]);
    *zone = *whole;
    zone->whole = whole;
    snprintf(zone->name, sizeof zone->name, "%s", abbreviation);
    for (uint32_t i = 0; i < whole->transition_count; i++)
        types[i] = dated_type(whole, i + 1, abbreviation);
    zone->transition_types = types;
    zone->rule = (zone_rule){.standard = whole->types[types[whole->transition_count - 1]]};
    zone->has_rule = true;
    *out_zone = zone;
    return KD_OK;
}

kd_status kd_zone_find(kd_ctx *ctx, kd_arena *arena, kd_slice name, const kd_zone **out_zone)
{
    *out_zone = NULL;
    if (kd_slice_equal_ignoring_case(name, KD_SLICE("utc"))) {
        *out_zone = &utc_zone;
        return KD_OK;
    }
    int32_t seconds;
    bool is_dst;
    if (kd_zone_abbreviation(name, &seconds, &is_dst) && name.size_bytes > 0) {
        zone_rule rule = {.standard = {.seconds = seconds, .is_dst = is_dst}};
        for (size_t i = 0; i < name.size_bytes; i++)
            rule.standard.abbreviation[i] = upper(name.data[i]);
        /* "CET", "EST", "MST" are zones with a history too: those come first. */
        KD_TRY(database_find(ctx, arena, name, out_zone));
        return *out_zone != NULL
                   ? KD_OK
                   : zone_from_rule(ctx, arena, rule.standard.abbreviation, &rule, out_zone);
    }
    for (size_t i = 0; i < sizeof dated_abbreviations / sizeof dated_abbreviations[0]; i++)
        if (kd_slice_equal_ignoring_case(name, kd_slice_of(dated_abbreviations[i].name)))
            return dated_zone(ctx, arena, name, dated_abbreviations[i].zone, out_zone);
    KD_TRY(database_find(ctx, arena, name, out_zone));
    if (*out_zone != NULL || name.size_bytes == 0)
        return KD_OK;
    rule_text text = {name.data, name.data + name.size_bytes};
    if (!is_letter(name.data[0]) && name.data[0] != '<') {
        if (take_time(&text, 167, &seconds) && text.at == text.end)
            return kd_zone_open_fixed(ctx, arena, -seconds, out_zone);
        return KD_OK;
    }
    zone_rule rule;
    char copy[NAME_BYTES];
    if (name.size_bytes < sizeof copy && rule_parse(name, &rule)) {
        memcpy(copy, name.data, name.size_bytes);
        copy[name.size_bytes] = '\0';
        return zone_from_rule(ctx, arena, copy, &rule, out_zone);
    }
    return KD_OK;
}

kd_status kd_zone_open(kd_ctx *ctx, kd_arena *arena, kd_slice name, const kd_zone **out_zone)
{
    KD_TRY(kd_zone_find(ctx, arena, name, out_zone));
    if (*out_zone == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "time zone \"%.*s\" not recognized",
                       (int)name.size_bytes, name.data);
    return KD_OK;
}
