/* Reading a policydb: contexts of what carries none: ports, nodes, file systems. See policydb.h. */
#include "policydb_reader.h"

/* COUNT elements into LIST, or the failure of it. */
#define READ_LIST(r, what, list, min_bytes)                                                    \
	do {                                                                                   \
		(r)->part = (what);                                                            \
		(list)->count = read_count((r), (min_bytes));                                  \
		(list)->at = arena_array(&(r)->db->arena, (list)->count, sizeof(*(list)->at)); \
		if (!(list)->at)                                                               \
			reader_nomem(r);                                                       \
	} while (0)

#define CONTEXT_BYTES 32u /* at least */

static void read_initial_sids(struct reader *r)
{
	struct policydb *db = r->db;
	READ_LIST(r, "initial SIDs", &db->isid, 4 + CONTEXT_BYTES);
	for (uint32_t i = 0; reader_ok(r) && i < db->isid.count; i++) {
		uint32_t sid = read_u32(r);
		if (reader_ok(r) && (sid == 0 || sid > INITIAL_SID_MAX))
			reader_fail(r, "an initial SID is %u; 1 to %u would be right", sid,
			            INITIAL_SID_MAX);
		for (uint32_t j = 0; reader_ok(r) && j < i; j++)
			if (db->isid.at[j].sid == sid)
				reader_fail(r, "initial SID %u is there twice", sid);
		db->isid.at[i].sid = sid;
		db->isid.at[i].context = read_context(r);
	}
}

static void read_named(struct reader *r, struct named_context *list, uint32_t count)
{
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		list[i].name = read_string(r, read_u32(r));
		list[i].context[0] = read_context(r);
		list[i].context[1] = read_context(r);
	}
}

static void read_ports(struct reader *r)
{
	struct policydb *db = r->db;
	READ_LIST(r, "portcon", &db->port, 12 + CONTEXT_BYTES);
	for (uint32_t i = 0; reader_ok(r) && i < db->port.count; i++) {
		uint32_t protocol = read_u32(r);
		uint32_t low = read_u32(r);
		uint32_t high = read_u32(r);
		if (reader_ok(r) && (protocol > 255 || low > high || high > 65535))
			reader_fail(r, "portcon of protocol %u, ports %u to %u is impossible",
			            protocol, low, high);
		db->port.at[i] = (struct portcon){.protocol = (uint8_t)protocol,
		                                  .low = (uint16_t)low,
		                                  .high = (uint16_t)high,
		                                  .context = read_context(r)};
	}
}

static void read_nodes(struct reader *r, struct nodecon *list, uint32_t count, size_t len)
{
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		read_bytes(r, list[i].addr, len);
		read_bytes(r, list[i].mask, len);
		list[i].context = read_context(r);
	}
}

static void read_fs_uses(struct reader *r)
{
	struct policydb *db = r->db;
	READ_LIST(r, "fs_use", &db->fs_use, 8 + CONTEXT_BYTES);
	for (uint32_t i = 0; reader_ok(r) && i < db->fs_use.count; i++) {
		uint32_t behavior = read_u32(r);
		if (reader_ok(r) && (behavior < 1 || behavior > 3))
			reader_fail(r, "fs_use has the behaviour %u; 1 to 3 would be right",
			            behavior);
		db->fs_use.at[i].behavior = behavior;
		db->fs_use.at[i].fstype = read_string(r, read_u32(r));
		db->fs_use.at[i].context = read_context(r);
	}
}

static void read_infiniband(struct reader *r)
{
	struct policydb *db = r->db;
	READ_LIST(r, "ibpkeycon", &db->ibpkey, 16 + CONTEXT_BYTES);
	for (uint32_t i = 0; reader_ok(r) && i < db->ibpkey.count; i++) {
		struct ibpkeycon *k = &db->ibpkey.at[i];
		k->subnet_prefix = read_u64(r);
		uint32_t low = read_u32(r);
		uint32_t high = read_u32(r);
		if (reader_ok(r) && (low > high || high > 65535))
			reader_fail(r, "ibpkeycon of %u to %u is impossible", low, high);
		k->low = (uint16_t)low;
		k->high = (uint16_t)high;
		k->context = read_context(r);
	}
	READ_LIST(r, "ibendportcon", &db->ibendport, 8 + CONTEXT_BYTES);
	for (uint32_t i = 0; reader_ok(r) && i < db->ibendport.count; i++) {
		uint32_t len = read_u32(r);
		uint32_t port = read_u32(r);
		if (reader_ok(r) && (port == 0 || port > 255))
			reader_fail(r, "ibendportcon has the port %u", port);
		db->ibendport.at[i] = (struct ibendportcon){.dev_name = read_string(r, len),
		                                            .port = (uint8_t)port};
		db->ibendport.at[i].context = read_context(r);
	}
}

static bool longer_first(const void *a, const void *b)
{
	const struct genfs_path *x = a, *y = b;
	size_t xlen = str_len(x->path), ylen = str_len(y->path);
	if (xlen != ylen)
		return xlen > ylen;
	int order = str_cmp(x->path, y->path);
	return order ? order < 0 : x->tclass < y->tclass;
}

static void read_genfs_paths(struct reader *r, struct genfs *g)
{
	g->count = read_count(r, 8 + CONTEXT_BYTES);
	struct genfs_path *p = arena_array(&r->db->arena, g->count, sizeof(*p));
	if (!p)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < g->count; i++) {
		p[i].path = read_string(r, read_u32(r));
		p[i].tclass = read_u32(r);
		if (p[i].tclass)
			(void)reader_check(r, &r->db->classes, p[i].tclass, "class");
		p[i].context = read_context(r);
	}
	if (!reader_ok(r))
		return;
	sort_in_place(p, g->count, sizeof(*p), longer_first);
	for (uint32_t i = 1; i < g->count; i++)
		if (str_eq(p[i].path, p[i - 1].path) &&
		    (!p[i - 1].tclass || p[i].tclass == p[i - 1].tclass))
			reader_fail(r, "genfscon %s %s is there twice", g->fstype, p[i].path);
	g->path = p;
}

static bool by_fstype(const void *a, const void *b)
{
	return str_cmp(((const struct genfs *)a)->fstype, ((const struct genfs *)b)->fstype) < 0;
}

static void read_genfs(struct reader *r)
{
	struct policydb *db = r->db;
	READ_LIST(r, "genfscon", &db->genfs, 8);
	for (uint32_t i = 0; reader_ok(r) && i < db->genfs.count; i++) {
		db->genfs.at[i].fstype = read_string(r, read_u32(r));
		if (reader_ok(r))
			read_genfs_paths(r, &db->genfs.at[i]);
	}
	if (!reader_ok(r))
		return;
	sort_in_place(db->genfs.at, db->genfs.count, sizeof(*db->genfs.at), by_fstype);
	for (uint32_t i = 1; i < db->genfs.count; i++)
		if (str_eq(db->genfs.at[i].fstype, db->genfs.at[i - 1].fstype))
			reader_fail(r, "genfscon %s is there twice", db->genfs.at[i].fstype);
}

void read_ocontexts(struct reader *r)
{
	struct policydb *db = r->db;
	read_initial_sids(r);
	READ_LIST(r, "fscon", &db->fs, 4 + 2 * CONTEXT_BYTES);
	read_named(r, db->fs.at, db->fs.count);
	read_ports(r);
	READ_LIST(r, "netifcon", &db->netif, 4 + 2 * CONTEXT_BYTES);
	read_named(r, db->netif.at, db->netif.count);
	READ_LIST(r, "nodecon", &db->node, 8 + CONTEXT_BYTES);
	read_nodes(r, db->node.at, db->node.count, 4);
	read_fs_uses(r);
	READ_LIST(r, "nodecon of IPv6", &db->node6, 32 + CONTEXT_BYTES);
	read_nodes(r, db->node6.at, db->node6.count, 16);
	read_infiniband(r);
	read_genfs(r);
}
